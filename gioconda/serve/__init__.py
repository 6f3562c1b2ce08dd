"""The local page: drop a clip, read its report. On 127.0.0.1 only; nothing is uploaded anywhere.

``guard`` keeps other pages and other hosts out, ``jobs`` is the queue, ``app`` answers requests, ``pages`` holds templates and
the one script.
"""
