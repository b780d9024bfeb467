"""The model card: where the model comes from, and what was verified, from the manifests alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tunesmith.data.report import closed, warnings
from tunesmith.export.lineage import Ancestor
from tunesmith.export.sources import Source
from tunesmith.messages import tr
from tunesmith.proof import Proof

SHOWN = ("lr", "epochs", "batch_size", "max_length", "schedule", "precision", "seed")


@dataclass(frozen=True, slots=True)
class Card:
    """
    form      as --to has it
    lineage   the model first
    data      sources of all that it and its ancestors were tuned on; empty if unknown
    scores    manifests of score stages
    proofs    of merging and of the export
    """

    title: str
    form: str
    lineage: Sequence[Ancestor]
    data: Sequence[Source]
    scores: Sequence[dict[str, Any]]
    proofs: Sequence[Proof]
    merge: dict[str, Any] | None

    def write(self) -> str:
        """The text of README.md."""
        parts = [
            front_matter(self),
            f"# {self.title}",
            self.opening(),
            *self.sections(),
        ]
        return "\n\n".join(part for part in parts if part) + "\n"

    def opening(self) -> str:
        """What it is, and whether it may be used."""
        if all(proof.passed for proof in self.proofs):
            return tr(
                "Exported by Tunesmith to {form}, and verified against the model that it was made of.", form=self.form
            )
        return tr(
            "**Not fit for use.** Exported by Tunesmith to {form}; it failed its verification, see the table below.",
            form=self.form,
        )

    def sections(self) -> list[str]:
        made = [tuning(one) for one in self.lineage if one.config]
        return [
            section(tr("Lineage"), table([tr("model"), "sha256", tr("licence")], map(ancestor_row, self.lineage))),
            *(section(tr("Tuned: {name}", name=name), text) for name, text in made),
            section(tr("Data"), data_text(self.data)),
            section(tr("Scores"), score_table(self.scores)),
            section(tr("Merge"), merge_text(self.merge)),
            section(tr("Verification"), proof_table(self.proofs)),
            tr("`tunesmith verify` on this folder compares the files with manifest.json and asks golden.json again."),
        ]


def front_matter(card: Card) -> str:
    """What model hubs read."""
    root = card.lineage[-1]
    licence = next((one.licence for one in card.lineage if one.licence), "")
    front: dict[str, Any] = {"pipeline_tag": "text-generation", "tags": ["tunesmith", card.form]}
    if any(closed(one) for one in card.data):
        licence = "other"  # the base's own would promise more than the data allows
    if licence:
        front["license"] = licence
    if len(card.lineage) > 1:
        front["base_model"] = root.name
    return f"---\n{yaml.safe_dump(front, sort_keys=True, allow_unicode=True)}---"


def section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}" if text else ""


def table(head: Sequence[str], rows: Any) -> str:
    lines = ["| " + " | ".join(map(cell, row)) + " |" for row in rows]
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *lines]) if lines else ""


def cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def ancestor_row(one: Ancestor) -> tuple[str, str, str]:
    return one.name, f"`{one.sha256[:16]}`" if one.sha256 else "–", one.licence or tr("unknown")


def tuning(one: Ancestor) -> tuple[str, str]:
    """What a manifest of tune says: data, template, adapter, budget, and how many proofs it passed."""
    config, budget = one.config, one.config.get("tune") or {}
    inputs = one.manifest.get("inputs", {})
    data = ", ".join(f"{Path(path).name} (`{inputs.get(path, '')[:16]}`)" for path in config.get("data") or ())
    metrics, counts = one.manifest.get("metrics", {}), one.manifest.get("counts", {})
    proofs = one.manifest.get("proofs", [])
    losses = " → ".join(f"{metrics[key]:.4f}" for key in ("first_loss", "last_loss") if key in metrics)
    rows = [
        (tr("data"), data),
        (tr("rows kept"), counts.get("kept", "")),
        (tr("template"), config.get("template", "")),
        (tr("adapter"), config.get("adapter", "")),
        (tr("budget"), ", ".join(f"{key} {budget[key]}" for key in SHOWN if key in budget)),
        (tr("loss, first to last step"), losses),
        (tr("proofs passed"), f"{sum(proof['passed'] for proof in proofs)}/{len(proofs)}"),
    ]
    return one.name, table([tr("setting"), tr("value")], [row for row in rows if row[1] != ""])


def data_text(sources: Sequence[Source]) -> str:
    """Each source with its licences and generators, and what to know before the model is given away."""
    if not sources:
        return tr("What the model was tuned on is not known.")
    head = [tr("source"), tr("rows"), tr("licence"), tr("answers written by")]
    rows = [
        (one["name"], f"{one['kept']:,}", shares(one, "licence"), shares(one, "generator"))
        if "kept" in one
        else (one["name"], *[tr("unknown")] * 3)
        for one in sources
    ]
    warned = [f"- ⚠ {warning}" for one in sources if "kept" in one for warning in warnings(one)]
    return "\n\n".join(filter(None, [table(head, rows), "\n".join(warned)]))


def shares(source: Source, what: str) -> str:
    """ "MIT (16), unknown (3)"."""
    found = [*source[f"{what}s"].items(), (tr("unknown"), source[f"no_{what}"])]
    return ", ".join(f"{name} ({count:,})" for name, count in found if count)


def score_table(scores: Sequence[dict[str, Any]]) -> str:
    rows = [
        (tr("exact match on held-out tasks"), f"{found['exact_match']:.1%}", interval(found["interval"]))
        for found in scores
    ]
    return table([tr("measure"), tr("value"), tr("95 % interval")], rows)


def interval(pair: Sequence[float]) -> str:
    return f"{pair[0]:.1%} – {pair[1]:.1%}"


def merge_text(merge: dict[str, Any] | None) -> str:
    """Which bases an adapter could be merged into, and how each came out."""
    if not merge:
        return ""
    head = [tr("merged into"), tr("loss"), tr("loss as trained"), tr("mean divergence")]
    rows = [
        (one["base"], f"{one['loss']:.4f}", f"{one['loss_as_trained']:.4f}", f"{one['mean_kl']:.2e}")
        for one in merge["measured"]
    ]
    return table(head, rows) + "\n\n" + tr("Chosen: {base}", base=merge["chosen"])


def proof_table(proofs: Sequence[Proof]) -> str:
    rows = [
        ("✓" if proof.passed else "✗", proof.name, proof.detail, number(proof.limit), f"{proof.checked:,}")
        for proof in proofs
    ]
    return table(["", tr("proof"), tr("found"), tr("limit"), tr("checked")], rows)


def number(limit: float | None) -> str:
    return "–" if limit is None else f"{limit:g}"
