"""Work on several processes and machines: the pool, Ray, and the processor's cores."""
