"""Evidence for a person to look at and search by: keyframes, views of a still, the sound, two clips compared, a case folder; no verdicts."""
