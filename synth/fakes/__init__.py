"""Labelled sets of fakes: preparing footage, planning pairs, and making each sample with its record."""
