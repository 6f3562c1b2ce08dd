"""Meta-training: shards, episodes, the identity table, run folders and several devices."""
