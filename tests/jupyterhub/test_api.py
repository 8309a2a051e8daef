"""Starts, stops, progress and names over REST."""

from jupyterhub.tests import test_api

from selection import chosen

globals().update(
    chosen(
        test_api,
        "test_spawn",
        "test_slow_spawn",
        "test_never_spawn",
        "test_bad_spawn",
        "test_slow_bad_spawn",
        "test_progress*",
        "test_spawn_limit",
        "test_start_stop_race",
        "test_rename_server",
        "test_patch_server",
    )
)
