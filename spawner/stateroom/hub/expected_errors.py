"""Errors of a start as the hub shows and logs them: a sentence, without a class name or a traceback."""

from __future__ import annotations

import logging

from tornado import web
from tornado.log import app_log

from stateroom.common.errors import BackendUnavailable, ChoiceRefused, QuotaExceeded, StateroomError

try:
    from jupyterhub.spawner import SpawnException as _SpawnException
except ImportError:
    _SpawnException = None  # JupyterHub 5


class PrefillOnly(Exception):
    """A link filled in the form. The empty message keeps the hub from showing one."""

    jupyterhub_message = ""


def refusal(refused: ChoiceRefused) -> web.HTTPError:
    """Turn a refused choice into a 400 that does not count as a failure of the hub (JupyterHub 6)."""
    message = str(refused)
    if _SpawnException is None:
        return shown(web.HTTPError(400, message), message)
    # The reason is a label of the hub's metrics.
    reason = "quota" if isinstance(refused, QuotaExceeded) else "choice"
    return shown(_SpawnException(message, reason=reason, status_code=400), message)


def failure(error: StateroomError) -> web.HTTPError:
    """Turn an error of the backend into a 503 or a 500."""
    status = 503 if isinstance(error, BackendUnavailable) else 500
    return shown(web.HTTPError(status, str(error)), str(error))


def shown(error: web.HTTPError, message: str) -> web.HTTPError:
    """Give an error the message that the hub shows; its own rendering would add the class and the log's text."""
    vars(error).update(jupyterhub_message=message, is_expected=True)
    return error


def log_expected_errors_briefly(hub_log: logging.Logger) -> None:
    """Log the errors of this module without their tracebacks. Idempotent."""
    for log in (hub_log, app_log):  # the hub writes to both
        log.addFilter(without_expected_traceback)


def without_expected_traceback(record: logging.LogRecord) -> bool:
    """Shorten a record: the hub logs whatever is raised in a start with its traceback, and ours say all in a sentence.

    False for a link that filled in the form, which is no error.
    """
    error = record.exc_info[1] if record.exc_info else None
    if getattr(error, "is_expected", False):
        record.msg = f"{record.getMessage()}: {error}"
        record.args, record.exc_info, record.exc_text = (), None, None
    return not isinstance(error, PrefillOnly)
