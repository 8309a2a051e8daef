"""A hub that comes back."""

from jupyterhub.tests import test_app

from selection import chosen

globals().update(chosen(test_app, "test_resume_spawners"))
