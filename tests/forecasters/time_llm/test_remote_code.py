"""Code that ships with a backbone runs on a server for others only when its operator has agreed."""

from __future__ import annotations

from pathlib import Path

import pytest

from timellm.config import ModelConfig
from timellm.errors import BackboneError
from timellm.forecasters.time_llm.backbone import load_backbone
from timellm.forecasters.time_llm.remote_code import CONSENT, REACHED_BY_OTHERS, check_remote_code


@pytest.fixture
def with_code(tmp_path):
    """A backbone whose configuration class is Python code beside it, which leaves a trace when it runs."""
    (tmp_path / "config.json").write_text(
        '{"model_type": "own", "auto_map": {"AutoConfig": "own.OwnConfig"}, "vocab_size": 8}'
    )
    code = (
        f"import pathlib\npathlib.Path({str(tmp_path / 'it-ran')!r}).touch()\nraise ValueError('no more than that')\n"
    )
    (tmp_path / "own.py").write_text(code)
    return ModelConfig(backbone=str(tmp_path), layers=1, trust_remote_code=True)


@pytest.mark.parametrize(
    ("reached", "consent", "runs"), [("1", None, False), ("1", "0", False), ("1", "1", True), ("0", None, True)]
)
def test_code_runs_where_the_operator_agrees_or_nobody_else_comes(with_code, monkeypatch, reached, consent, runs):
    monkeypatch.setenv(REACHED_BY_OTHERS, reached)
    if consent is not None:
        monkeypatch.setenv(CONSENT, consent)
    match = "could not be loaded: no more than that" if runs else "has to allow that with TIMELLM_ALLOW_REMOTE_CODE=1"
    with pytest.raises(BackboneError, match=match):
        load_backbone(with_code, device="cpu")
    assert (Path(with_code.backbone) / "it-ran").exists() == runs


def test_command_line_needs_the_setting_alone(with_code, monkeypatch):
    monkeypatch.delenv(REACHED_BY_OTHERS, raising=False)
    check_remote_code(with_code)


def test_backbone_without_code_needs_no_consent(monkeypatch):
    monkeypatch.setenv(REACHED_BY_OTHERS, "1")
    check_remote_code(ModelConfig())
