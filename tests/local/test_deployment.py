"""What a deployment is made of, without the SAM CLI: the sources' hash and the parameters."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.deployment import Application, DeploymentError, architecture, build, digest, parameters_for
from local.settings import ROOT


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    (tmp_path / "functions/one").mkdir(parents=True)
    (tmp_path / "functions/one/handler.py").write_text("1")
    (tmp_path / "template.yaml").write_text("Resources: {}")
    return tmp_path


def test_every_source_counts_and_nothing_else(sources: Path) -> None:
    before = digest(sources)
    (sources / "README.md").write_text("about")
    (sources / "functions/one/__pycache__").mkdir()
    (sources / "functions/one/__pycache__/handler.pyc").write_text("compiled")
    assert digest(sources) == before
    (sources / "functions/one/handler.py").write_text("2")
    changed = digest(sources)
    (sources / "functions/one/handler.py").rename(sources / "functions/one/other.py")
    assert len({before, changed, digest(sources)}) == 3


def test_a_current_build_is_not_repeated(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    application = Application(sources, sources / "build")
    runs: list[str] = []

    def sam(arguments: list[str], *_: object) -> None:
        runs.append(arguments[0])
        application.built_template.parent.mkdir(exist_ok=True, parents=True)
        application.built_template.write_text("Resources: {}")

    monkeypatch.setattr("local.deployment._sam", sam)
    application.build.mkdir()
    assert build(application)
    assert not build(application)
    (sources / "template.yaml").write_text("Resources: {A: {}}")
    assert build(application)
    assert runs == ["build", "build"]


@pytest.mark.parametrize(
    "form", ['["Stage=local", "LogLevel=DEBUG", "Gone=1"]', '"Stage=local LogLevel=DEBUG Gone=1"']
)
def test_parameters_of_the_configuration_this_machine_and_the_caller(sources: Path, form: str) -> None:
    (sources / "samconfig.toml").write_text(
        f"version=0.1\n[local.deploy.parameters]\nparameter_overrides = {form}\n"
    )
    declared: dict[str, Any] = {"Parameters": {"Stage": {}, "LogLevel": {}, "Architecture": {}, "Other": {}}}
    application = Application(sources, sources / "build")
    assert parameters_for(application, declared, {"LogLevel": "INFO"}) == {
        "Stage": "local",
        "LogLevel": "INFO",
        "Architecture": architecture(),
    }
    with pytest.raises(
        DeploymentError, match="no parameter Unheard; it has Stage, LogLevel, Architecture, Other"
    ):
        parameters_for(application, declared, {"Unheard": "1"})


class TemplateLoader(yaml.SafeLoader):
    """Reads past CloudFormation's short forms: only the parameters are of interest."""


TemplateLoader.add_multi_constructor("!", lambda *_: None)


@pytest.mark.parametrize("stage", ["local", "dev", "staging", "prod"])
def test_samconfig_gives_each_stage_parameters_that_the_template_has(stage: str) -> None:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())[stage]["deploy"]["parameters"]
    template = yaml.load((ROOT / "template.yaml").read_text(), TemplateLoader)  # noqa: S506 - a SafeLoader
    given = dict(item.split("=", 1) for item in config["parameter_overrides"])
    assert given["Stage"] == stage
    assert config["stack_name"] == f"signalbox-{stage}"
    for name, value in given.items():
        allowed = template["Parameters"][name].get("AllowedValues")
        assert allowed is None or value in map(str, allowed)
    assert config["confirm_changeset"] is (stage == "prod")
