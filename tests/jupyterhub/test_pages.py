"""Starts from the hub's pages."""

from jupyterhub.tests import test_pages

from selection import chosen

globals().update(
    chosen(
        test_pages,
        "test_spawn_form",
        "test_spawn_form_other_user",
        "test_spawn_with_query_arguments",
        "test_spawn_fails_custom_message",
    )
)
