"""MLflow as a mirror of finished records: one run a campaign, one child run a record."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

from accelbench.adapters.trackers.mlflow_run import (
    CAMPAIGN_TAG,
    DIGEST_TAG,
    STATE_TAG,
    RunContent,
    campaign_tags,
    run_content,
)
from accelbench.adapters.trackers.mlflow_store import (
    artifact_location,
    check_database,
    client_settings,
    no_retries,
    redacted,
    told_safely,
    tracking_uri,
    without_credentials,
)
from accelbench.harness.schema.protocols import CampaignFacts, MirrorItem, Readiness

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

T = TypeVar("T")

_METRICS_A_CALL = 1000
_TEXTS_A_CALL = 100
_RUNS_A_PAGE = 1000
_MOST_RETRIES = 10


@dataclass(frozen=True)
class MlflowTracker:
    """Mirrors records to an MLflow tracking server or database.

    Attributes:
        experiment: Name of the experiment; made if it is missing.
        tracking_uri: The store; None for MLFLOW_TRACKING_URI, or else a SQLite file under
            `results/local`.
        request_timeout_s: Longest wait for an answer, seconds.
        max_retries: How often a request is sent again. The first one of a call and those that
            make a run are never: a server that is down is told at once, and a request that
            was carried out but not answered must not make a second run.
    """

    experiment: str = "accelbench"
    tracking_uri: str | None = None
    request_timeout_s: int = 10
    max_retries: int = 2

    def __post_init__(self) -> None:
        if not self.experiment:
            raise ValueError("experiment needs a name")
        if self.request_timeout_s < 1 or not 0 <= self.max_retries <= _MOST_RETRIES:
            raise ValueError("request_timeout_s >= 1 and 0 <= max_retries <= 10 are needed")

    def readiness(self) -> Readiness:
        """Ready where mlflow is installed; tells where records would go."""
        if find_spec("mlflow") is None:
            return Readiness("missing", "mlflow is not installed", "pip install mlflow")
        where = without_credentials(tracking_uri(self.tracking_uri))
        return Readiness("ready", f"records go to {where}")

    def mirror(self, campaign: CampaignFacts, items: Sequence[MirrorItem]) -> str:
        """Sends the records that are not there yet, and stops at the first failure.

        Args:
            campaign: What the parent run tells.
            items: The records, each with its folder in the bundle.

        Returns:
            The tracking URI without credentials.

        Raises:
            ForeignError: MLflow refused, or did not answer in time.
        """
        uri = tracking_uri(self.tracking_uri)
        redact = partial(redacted, uri=uri)
        tags = campaign_tags(campaign, redact)
        contents = {item.digest: run_content(campaign, item, redact) for item in items}
        if contents:
            with told_safely(uri), client_settings(self.request_timeout_s, self.max_retries):
                from mlflow import MlflowClient  # noqa: PLC0415  (takes over a second)

                check_database(uri, self.request_timeout_s)
                client = MlflowClient(tracking_uri=uri)
                experiment = _experiment(client, self.experiment, artifact_location(uri))
                _send_campaign(client, experiment, tags, contents)
        return without_credentials(uri)


def _experiment(client: "MlflowClient", name: str, location: str | None) -> str:
    with no_retries():
        experiment = client.get_experiment_by_name(name)
        if experiment:
            return str(experiment.experiment_id)
        return str(client.create_experiment(name, artifact_location=location))


def _send_campaign(
    client: "MlflowClient",
    experiment: str,
    tags: Mapping[str, str],
    contents: Mapping[str, RunContent],
) -> None:
    runs = _known_runs(client, experiment, tags[CAMPAIGN_TAG])
    parent = runs.get("")
    pending = {key: run for key, run in contents.items() if not _is_complete(runs.get(key))}
    if not pending and _is_complete(parent):
        return
    started_ms = min(content.started_ms for content in contents.values())
    finished_ms = max(content.finished_ms for content in contents.values())
    name = f"{tags['accelbench.suite']} {tags[CAMPAIGN_TAG]}"
    parent_id = _run_id(parent) or _create(client, experiment, name, started_ms, tags)
    for digest, content in pending.items():
        identity = {
            CAMPAIGN_TAG: tags[CAMPAIGN_TAG],
            DIGEST_TAG: digest,
            "mlflow.parentRunId": parent_id,
        }
        run_id = _run_id(runs.get(digest)) or _create(
            client, experiment, content.name, content.started_ms, identity
        )
        _send(client, run_id, content)
        _finish(client, run_id, content.status, content.finished_ms)
    _finish(client, parent_id, "FINISHED", finished_ms)


def _known_runs(client: "MlflowClient", experiment: str, campaign: str) -> Mapping[str, "Run"]:
    """The campaign's runs by digest of their record, the parent under the empty text."""
    runs: dict[str, Run] = {}
    page = None
    while page is None or page.token:
        page = client.search_runs(
            [experiment],
            f"tags.`{CAMPAIGN_TAG}` = '{campaign}'",
            max_results=_RUNS_A_PAGE,
            page_token=page.token if page else None,
        )
        runs.update({run.data.tags.get(DIGEST_TAG, ""): run for run in page})
    return runs


def _is_complete(run: "Run | None") -> bool:
    return run is not None and run.data.tags.get(STATE_TAG) == "complete"


def _run_id(run: "Run | None") -> str | None:
    return str(run.info.run_id) if run else None


def _create(
    client: "MlflowClient", experiment: str, name: str, started_ms: int, tags: Mapping[str, str]
) -> str:
    with no_retries():
        run = client.create_run(
            experiment, start_time=started_ms, tags={**tags, STATE_TAG: "partial"}, run_name=name
        )
    return str(run.info.run_id)


def _send(client: "MlflowClient", run_id: str, content: RunContent) -> None:
    """Sends a record's content; what is there already is sent again, which changes nothing."""
    from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415  (takes over a second)

    for texts in _slices(content.params, _TEXTS_A_CALL):
        client.log_batch(run_id, params=[Param(*text) for text in texts])
    for texts in _slices(content.tags, _TEXTS_A_CALL):
        client.log_batch(run_id, tags=[RunTag(*text) for text in texts])
    for values in _slices(content.metrics, _METRICS_A_CALL):
        metrics = [Metric(*value, content.finished_ms, content.step) for value in values]
        client.log_batch(run_id, metrics=metrics)
    for path, folder in content.files:
        client.log_artifact(run_id, str(path), folder)


def _slices(content: Mapping[str, T], size: int) -> Iterator[Sequence[tuple[str, T]]]:
    pairs = list(content.items())
    for start in range(0, len(pairs), size):
        yield pairs[start : start + size]


def _finish(client: "MlflowClient", run_id: str, status: str, finished_ms: int) -> None:
    client.set_terminated(run_id, status, finished_ms)
    # The last write: whatever lacks it is sent again.
    client.set_tag(run_id, STATE_TAG, "complete")
