"""The invisible watermark, its error-correcting code, and the archive that finds stripped credentials again."""
