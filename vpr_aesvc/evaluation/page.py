"""Renders the HTML pages: one file with no script and no references to other files."""

from __future__ import annotations

from typing import Any

from vpr_aesvc.errors import VprError


def check_installed() -> None:
    """Raises VprError where a library for reports is missing. Call it before a long run that ends in a report."""
    try:
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
        import scipy  # noqa: F401
        import sklearn  # noqa: F401
    except ImportError as error:
        raise VprError(
            "a report needs matplotlib, jinja2, scipy and scikit-learn: pip install matplotlib jinja2 scipy scikit-learn"
        ) from error


def render_page(template: str, **values: Any) -> str:
    """Fills a template of this folder. Text is escaped; an undefined name is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("vpr_aesvc", "evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)
