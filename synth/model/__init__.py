"""The few-shot networks of Zakharov et al. 2019: layers, losses, landmark images and checkpoints."""
