"""A notebook runs in a real JupyterLab in a real browser: every cell, no error, no request to the outside."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from tests.browser import browser
from tests.shared import ROOT

NOTEBOOK = "01-instruments.ipynb"
IDLE = """() => {
  const panel = window.jupyterapp.shell.currentWidget;
  const kernel = panel && panel.sessionContext && panel.sessionContext.session && panel.sessionContext.session.kernel;
  return Boolean(kernel && kernel.status === 'idle');
}"""
FINISHED = """() => {
  const panel = window.jupyterapp.shell.currentWidget;
  const code = panel.content.model.sharedModel.cells.filter(c => c.cell_type === 'code');
  return code.every(c => c.execution_count > 0) && panel.sessionContext.session.kernel.status === 'idle';
}"""
OUTPUTS = """() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells
  .filter(c => c.cell_type === 'code').map(c => c.getOutputs().map(o => o.output_type))"""


@pytest.fixture
def lab(tmp_path):
    """A JupyterLab on copies of the notebooks with folders, port and token of its own; gives its address."""
    work = tmp_path / "work"
    work.mkdir()
    shutil.copytree(ROOT / "notebooks", work / "notebooks")
    shutil.copytree(ROOT / "surveys", work / "surveys")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    folders = {
        name: str(tmp_path / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    folders["JUPYTER_DATA_DIR"] = str(tmp_path / "data")
    environment = {**os.environ, **folders, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.open_browser": False,
        "ServerApp.allow_root": True,
        "IdentityProvider.token": token,
        "LabApp.expose_app_in_browser": True,
        "LabApp.news_url": "",
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
    }
    command = [sys.executable, "-m", "jupyterlab", *(f"--{k}={v}" for k, v in options.items())]
    with open(tmp_path / "lab.log", "w") as log:
        server = subprocess.Popen(command, cwd=work, env=environment, stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}/api?token={token}", server, tmp_path / "lab.log")
        yield f"http://127.0.0.1:{port}", token
    finally:
        server.terminate()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(timeout=20)


def _wait_for(address, server, log, seconds=60):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.3)
    pytest.fail(f"JupyterLab did not answer:\n{log.read_text()[-2000:]}")


@pytest.mark.browser
def test_a_notebook_runs_from_top_to_bottom_in_jupyterlab(lab, tmp_path):
    address, token = lab
    outside, failed = [], []
    with browser(tmp_path / "profile") as context:
        page = context.new_page()
        page.on(
            "request", lambda r: outside.append(r.url) if not r.url.startswith((address, "data:", "blob:")) else None
        )
        page.on("requestfailed", lambda r: failed.append(r.url) if "ERR_ABORTED" not in (r.failure or "") else None)
        page.goto(f"{address}/lab/tree/notebooks/{NOTEBOOK}?token={token}")
        page.wait_for_function("() => window.jupyterapp !== undefined", timeout=60_000)
        page.wait_for_function(IDLE, timeout=90_000)
        page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
        page.wait_for_function(FINISHED, timeout=120_000)
        kinds = page.evaluate(OUTPUTS)
    assert sum(len(k) for k in kinds) >= len(kinds) / 2
    assert not [k for k in kinds if "error" in k]
    assert not [url for url in outside if not url.startswith("ws://127.0.0.1")]
    assert not failed
