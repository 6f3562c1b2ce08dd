"""A convolutional (or any other timm) backbone over aligned faces; a clip's score is the mean over frames, or a head in time.

``cnn:RUN`` reads what ``gioconda detect train cnn`` wrote. No weights come with the package.
"""

from __future__ import annotations

from detect.networks.network import NetDetector


class CnnDetector(NetDetector):
    id = "cnn"
