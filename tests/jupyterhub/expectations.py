"""Tests of JupyterHub's that do not hold for our class, each with the reason.

They must fail: one that passes is a failure of the tier, as is a failing one that is not listed here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Expected:
    """`test` is a function, or one case of it as JupyterHub names it: `test_x[case]`."""

    test: str
    reason: str


EXPECTED = (
    Expected("test_spawn", "It sends options of its own; ours takes what the catalog has, and refuses the rest."),
    Expected("test_progress", "It reads a local process's progress word for word; ours tells its own steps."),
    Expected("test_progress_bad", "It reads its spawner's own words; ours tells why the server ended."),
    Expected("test_progress_bad_slow", "As test_progress, and as test_progress_bad."),
    Expected(
        "test_default_server", "It expects a process id as saved state, and no options; ours saves what it needs."
    ),
    Expected("test_create_or_start_named_server", "As test_default_server."),
    Expected("test_named_server_spawn_form", "It looks for the fields of its own form."),
    Expected("test_named_server_spawn_with_opts", "It starts a server by a link; ours fills in the form and waits."),
    Expected("test_spawn_with_query_arguments", "As test_named_server_spawn_with_opts."),
    Expected("test_spawn_form", "It submits the fields of its own form; ours refuses what it did not offer."),
    Expected("test_spawn_form_other_user[all]", "As test_spawn_form."),
    Expected("test_spawn_form_other_user[user]", "As test_spawn_form."),
    Expected("test_spawn_form_other_user[in-group]", "As test_spawn_form."),
    Expected("test_apply_user_options_dict", "It sets an attribute that only the spawners of local processes have."),
)
