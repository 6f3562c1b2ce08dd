"""Reading Content Credentials: from a file to a state, codes and sentences."""
