"""The version of this release, in the one place that everything else reads, and those of other packages."""

__version__ = "0.1.0"


def installed(*names: str) -> dict[str, str]:
    """The versions of packages, of those that are installed."""
    from importlib import metadata

    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
