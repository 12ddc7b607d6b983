"""botocore's models, read our way: the same content, less reading."""

from pathlib import Path

import pytest
from botocore.exceptions import DataNotFoundError
from botocore.loaders import Loader

from signalbox.aws.models import ModelFiles, Models

SERVICES = ["autoscaling", "dynamodb", "ec2", "ecs", "eks", "elb", "elbv2", "events", "sns", "ssm", "sts"]


@pytest.fixture(scope="module")
def models() -> Models:
    return Models()


@pytest.mark.parametrize("service", [*SERVICES, "stepfunctions"])
@pytest.mark.parametrize("kind", ["service-2", "endpoint-rule-set-1", "paginators-1"])
def test_a_model_is_what_botocore_itself_reads(models: Models, service: str, kind: str) -> None:
    """Extras included, such as paginators that are amended."""
    theirs = Loader()
    try:
        expected = theirs.load_service_model(service, kind)
    except DataNotFoundError:
        with pytest.raises(DataNotFoundError):
            models.load_service_model(service, kind)
    else:
        assert models.load_service_model(service, kind) == expected


@pytest.mark.parametrize("name", ["endpoints", "partitions", "sdk-default-configuration"])
def test_what_is_no_service_is_read_too(models: Models, name: str) -> None:
    assert models.load_data(name) == Loader().load_data(name)


def test_an_unknown_service_is_refused(models: Models) -> None:
    with pytest.raises(DataNotFoundError, match="no-such-service"):
        models.load_service_model("no-such-service", "service-2")


def test_the_folders_are_listed_once_and_none_of_them_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "one" / "2026-01-31"
    model.mkdir(parents=True)
    (model / "service-2.json").write_text('{"metadata": {}}')
    (tmp_path / "another").touch()
    models = Models([str(tmp_path)], include_default_search_paths=False)
    looked: list[str] = []
    exists = ModelFiles.exists

    def look(self: ModelFiles, path: str) -> bool:
        looked.append(path)
        return exists(self, path)

    monkeypatch.setattr(ModelFiles, "exists", look)
    assert models.load_service_model("one", "service-2") == {"metadata": {}}
    assert models.list_available_services("service-2") == ["another", "one"]
    assert looked == [str(model / "service-2")]
