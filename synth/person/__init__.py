"""A generator tuned to one person: views of the shots, tuning, the personal model and its export."""
