"""The version of the package, which its images and its chart carry too."""

__version__ = "0.1.0"
