"""The one version number of the distribution, the server and the command line."""

__version__ = "0.1.0"
