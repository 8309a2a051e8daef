"""What the hub itself sets on a spawner."""

from jupyterhub.tests import test_spawner

from selection import chosen

globals().update(chosen(test_spawner, "test_group_override*", "test_apply_user_options_dict"))
