"""What a person looks at and searches by: keyframes, views of a still, the sound, two clips compared, a case folder. No verdicts here."""
