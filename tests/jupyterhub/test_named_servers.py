"""Several servers of one user."""

from jupyterhub.tests import test_named_servers

from selection import chosen

globals().update(chosen(test_named_servers, "test_*"))
