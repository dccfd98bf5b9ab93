"""What axe-core, in a real browser, finds wrong with a page by WCAG 2.2, levels A and AA."""

from __future__ import annotations

from importlib import resources
from typing import Any

from tests.support.needs import part

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: Any) -> list[str]:
    """One line for each element at fault. Skips the test where the extra that ships axe-core is missing."""
    part("axe_playwright_python")
    script = (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    # Through the debugger, as the page's Content Security Policy takes no script from elsewhere.
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(f"() => {{ {script} }}")
    found = page.evaluate("rules => axe.run(document, { runOnly: rules, resultTypes: ['violations'] })", RULES)
    assert found["testEngine"]["name"] == "axe-core" and len(found["toolOptions"]["runOnly"]["values"]) == len(RULES)
    return [
        f"{fault['id']} ({fault['help']}): {' '.join(map(str, node['target']))}"
        for fault in found["violations"]
        for node in fault["nodes"]
    ]
