"""MQSPN against its fixtures; the file's `name` says which of them it is (fixtures/mqspn/README.md)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, Literal

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from gmner.errors import UnknownNameError
from gmner.metrics.protocols.mqspn import Quadruple, tally_quadruples
from gmner.metrics.score import averaged
from gmner.models.mqspn import released_data
from gmner.models.mqspn.batch import PLACE, Posts
from gmner.models.mqspn.criterion import RELEASED_CRITERION, CriterionConfig, cost, criterion, losses, match
from gmner.models.mqspn.decoding import RELEASED_DECODING, decode
from gmner.models.mqspn.outputs import IMPOSSIBLE, TYPES, Gold, Outputs
from gmner.models.mqspn.released import ReleasedConfig, ReleasedMQSPN, Sight, States, visibility
from gmner.models.mqspn.weights import from_published, published_name
from gmner.training.loop import TrainingConfig, new_optimiser, new_schedule
from gmner.types import ENTITY_TYPES, Box
from gmner.verify.fixture import EXACT, Comparison, Fixture, Tolerance, compare

HIDDEN: Final = Tolerance(1e-5)
"""Of hidden states: a wrong epsilon of a layer norm moves them by 1e-5 to 9e-5 (the README of the fixtures)."""

NORMS: Final = Tolerance(1e-5, 2e-3)
"""Of gradient norms."""

HEADS: Final = {"entity_logits": "types", "p_left": "start", "p_right": "end", "p_region": "region"}


def checks(fixture: Fixture) -> list[Comparison]:
    """Every output of the file.

    Raises:
        UnknownNameError: the file's name is not that of a fixture of this model.
    """
    name = str(fixture.facts.get("name"))
    if name not in CHECKS:
        raise UnknownNameError("fixture of mqspn", name, CHECKS)
    return CHECKS[name](fixture)


def network(fixture: Fixture) -> ReleasedMQSPN:
    """The network that a file describes, with its weights."""
    sizes: dict[str, Any] = {ours: fixture.count(theirs) for ours, theirs in _SIZES.items()}
    masks = fixture.facts["config"]["masks"]
    sights = [
        Sight(
            words_see_queries=not masks[part]["ent2tok"],
            queries_see_others=not masks[part]["ent2ent"],
            queries_see_themselves=not masks[part]["entself"],
        )
        for part in ("backbone", "decoder")
    ]
    attention = bool(fixture.facts["config"]["use_entity_attention"])
    config = replace(ReleasedConfig(), **sizes, query_attention=attention)
    model = ReleasedMQSPN(replace(config, backbone_sight=sights[0], decoder_sight=sights[1]))
    model.load_state_dict(from_published(fixture.under("weight/"), model.state_dict()))
    return model.eval()


_SIZES: Final = {
    "vocabulary": "vocab_size",
    "positions": "max_position_embeddings",
    "width": "hidden_size",
    "heads": "num_attention_heads",
    "inner": "text_intermediate_size",
    "vision_inner": "vision_intermediate_size",
    "layers": "num_hidden_layers",
    "decoder_layers": "num_decoder_layers",
    "queries": "num_queries",
    "patch": "patch_size",
}


def posts(fixture: Fixture) -> Posts:
    """The file's batch. Its table says for each word and sub-word whether the one belongs to the other."""
    belongs = fixture["input/context2token_masks"]
    return Posts(
        pieces=fixture["input/encodings"],
        segments=fixture["input/seg_encoding"],
        shapes=torch.zeros_like(fixture["input/encodings"]),
        attention=fixture["input/context_masks"],
        word_of_piece=torch.where(belongs.any(1), belongs.to(torch.uint8).argmax(1), -1),
        words=fixture["input/token_masks"],
        looks=fixture["input/aux_imgs"],
        places=torch.zeros(*fixture["input/region_mask"].shape, PLACE),
        regions=fixture["input/region_mask"],
    )


def gold(fixture: Fixture, regions: int) -> Gold:
    """The file's gold items."""
    spans = fixture["input/gt_spans"]
    chosen = F.one_hot(fixture["input/gt_regions"], regions).bool()
    return Gold(fixture["input/gt_types"], spans[..., 0], spans[..., 1], chosen, fixture["input/entity_masks"])


def _forward(fixture: Fixture) -> list[Comparison]:
    model, batch = network(fixture), posts(fixture)
    states = model.states(batch)
    layers = [model.outputs(streams, batch) for streams in states.decoder]
    found = _hidden(model, batch, states)
    for number, outputs in enumerate(layers):
        found |= {f"layer_{number}/{theirs}": getattr(outputs, ours) for theirs, ours in HEADS.items()}
    expected = fixture.under("output/")
    compared = [
        compare(name, found[name], tensor, HIDDEN if name.startswith("hidden/") else fixture.tolerance)
        for name, tensor in expected.items()
        if name in found
    ]
    if "total_loss" in expected:
        items = gold(fixture, model.config.regions)
        compared += _judged(fixture, layers, items, RELEASED_CRITERION)
        total = criterion(layers, items, RELEASED_CRITERION)
        compared.append(compare("total_loss", total, expected["total_loss"], fixture.tolerance))
        compared += _gradients(fixture, model, total)
    return compared


def _hidden(model: ReleasedMQSPN, batch: Posts, states: States) -> dict[str, Tensor]:
    visible = visibility(batch.words, model.config, decoder=True)
    queries = model.config.queries
    # Where no query is attended to, ours has no columns for them.
    visible = F.pad(visible, (0, visible.shape[2] - visible.shape[3]))
    found = {
        "word_embeddings": states.embedded.text,
        "query_embeddings": states.embedded.queries,
        "vision_embeddings": states.embedded.picture,
        "query_pos_backbone": states.position,
        "query_pos_decoder": states.decoder_position,
        "pooled_words": states.words,
        "backbone_query": states.backbone[-1].queries,
        "decoder_attention_bias": torch.where(visible, 0.0, IMPOSSIBLE).expand(
            -1, 1, batch.words.shape[1] + queries, -1
        ),
    }
    for stack, text, layers in (
        ("backbone_after_layer", "token", states.backbone),
        ("decoder", "word", states.decoder),
    ):
        for number, streams in enumerate(layers):
            names = zip((text, "query", "region"), streams, strict=True)
            found |= {f"{stack}_{number}/{name}": tensor for name, tensor in names}
    return {f"hidden/{name}": tensor for name, tensor in found.items()}


def _judged(
    fixture: Fixture, layers: list[Outputs], items: Gold, config: CriterionConfig, prefix: str = ""
) -> list[Comparison]:
    """Matching and losses of each layer. Of equal items any may go to a query: what it is given is compared."""
    compared = []
    for number, outputs in enumerate(layers):
        name = f"{prefix}layer_{number}/"
        expected = fixture.under(f"output/{name}")
        [assigned] = match([outputs], items, config)
        theirs = torch.full_like(assigned, -1)
        for row, (queries, columns) in enumerate(zip(expected["assign_query"], expected["assign_gold"], strict=True)):
            theirs[row, columns[columns >= 0]] = queries[queries >= 0]
        compared += [
            compare(f"{name}assign_query", _content(assigned, items, outputs), _content(theirs, items, outputs), EXACT),
            compare(f"{name}assign_gold", (assigned >= 0).sum(1), (expected["assign_gold"] >= 0).sum(1), EXACT),
        ]
        found = losses(outputs, items, assigned, config)
        ours = {"loss_ce": found.type, "loss_boundary": found.boundary, "loss_region": found.region}
        if "cost" in expected:
            ours["cost"] = cost(outputs, _of_all(items, len(outputs.types)), config)
        compared += [compare(name + key, ours[key], expected[key], fixture.tolerance) for key in ours]
    return compared


def _content(assigned: Int64[Tensor, "batch items"], items: Gold, outputs: Outputs) -> Int64[Tensor, "batch queries 4"]:
    """What each query is to say: type, first and last word, region; type 0 for those that answer for nothing."""
    content = torch.zeros(*outputs.types.shape[:2], 4, dtype=torch.long)
    row, item = (assigned >= 0).nonzero(as_tuple=True)
    wanted = torch.stack([items.types, items.start, items.end, items.regions.to(torch.uint8).argmax(-1)], -1)
    content[row, assigned[row, item]] = wanted[row, item]
    return content


def _of_all(items: Gold, batch: int) -> Gold:
    """Every item of the batch as an item of each of its posts, as the released cost matrix has them."""
    return Gold(*(tensor[items.present][None].expand(batch, *[-1] * (tensor.ndim - 1)) for tensor in items))


def _gradients(fixture: Fixture, model: ReleasedMQSPN, total: Float[Tensor, ""]) -> list[Comparison]:
    """Stored gradients and all norms, and that the parameters without gradient are those that we leave out."""
    names = {published_name(name): parameter for name, parameter in model.named_parameters()}
    computed = dict(zip(names, torch.autograd.grad(total, list(names.values())), strict=True))
    compared = []
    for name, expected in fixture.under("output/grad/").items():
        tolerance = Tolerance(1e-5 + 1e-4 * float(expected.abs().max()))
        compared.append(compare(f"grad/{name}", computed[name], expected, tolerance))
    recorded: Mapping[str, float] = fixture.facts["grad_norm"]
    for name, norm in recorded.items():
        compared.append(compare(f"grad_norm/{name}", computed[name].norm(), torch.tensor(norm), NORMS))
    dead = set(fixture.facts["params_without_gradient"])
    left_out = set(fixture.under("weight/")) - set(names)
    compared.append(compare("params_without_gradient", torch.tensor(len(dead ^ left_out)), torch.tensor(0), EXACT))
    unused = computed["bert.embeddings.word_embeddings.weight"][0]
    compared.append(compare("grad of the row of padding", unused, torch.zeros_like(unused), EXACT))
    return compared


_TYPE_LOSSES: Final[dict[str, Literal["ce", "bce", "focal"]]] = {
    "celoss": "ce",
    "bceloss": "bce",
    "focalloss": "focal",
}


def _match_loss(fixture: Fixture) -> list[Comparison]:
    layers = [
        Outputs(**{ours: fixture[f"input/layer_{number}/{theirs}"] for theirs, ours in HEADS.items()})
        for number in range(fixture.count("layers"))
    ]
    items = gold(fixture, fixture.count("regions"))
    compared = []
    for variant, options in fixture.facts["config"]["variants"].items():
        config = replace(
            RELEASED_CRITERION,
            match_type=options["match_class"],
            match_boundary=options["match_boundary"],
            match_region=options["match_region"],
            none_weight=max(options["nil_weight"], 0.0),
            types=_TYPE_LOSSES[options["type_loss"]],
        )
        compared += _judged(fixture, layers, items, config, f"{variant}/")
        for layers_weigh in ("same", "linear"):
            name = f"{variant}/total_{layers_weigh}"
            total = criterion(layers, items, replace(config, layers=layers_weigh))
            compared.append(compare(name, total, fixture[f"output/{name}"], fixture.tolerance))
    return compared


def _decode(fixture: Fixture) -> list[Comparison]:
    outputs = Outputs(**{ours: fixture[f"input/{theirs}"] for theirs, ours in HEADS.items()})
    compared = []
    for variant, options in fixture.facts["config"]["variants"].items():
        crossing: Literal["nested", "all"] = "nested" if options["no_partial_overlapping"] else "all"
        config = replace(
            RELEASED_DECODING,
            overlap="none" if options["no_overlapping"] else crossing,
            duplicates=not options["no_duplicate"],
            least_type=options["cls_threshold"],
            least_boundary=options["boundary_threshold"],
            least_region=options["region_threshold"],
        )
        found = decode(outputs, fixture["input/token_masks"], config)
        kept = [(number, answer) for number, answers in enumerate(found) for answer in answers]
        rows = torch.tensor([[number, *answer[:4]] for number, answer in kept]).view(-1, 5)
        scores = torch.tensor([answer.type_score for _, answer in kept])
        compared += [
            compare(f"{variant}/pred", rows, fixture[f"output/{variant}/pred"], EXACT),
            compare(f"{variant}/score", scores, fixture[f"output/{variant}/score"], fixture.tolerance),
        ]
    return compared


def _score(fixture: Fixture) -> list[Comparison]:
    sides = []
    for side in ("pred", "gold"):
        found: list[set[Quadruple]] = [set() for _ in range(int(fixture.facts["num_samples"]))]
        for number, start, last, kind, region in fixture[f"input/{side}"].tolist():
            found[number].add(Quadruple(start, last + 1, TYPES[kind - 1], region))
        sides.append(found)
    tallies = [tally_quadruples(predicted, true) for predicted, true in zip(*sides, strict=True)]
    counts = np.array([[sum(t[side].count(kind) for t in tallies) for side in range(3)] for kind in ENTITY_TYPES])
    rates = np.concatenate([averaged(counts, "micro"), averaged(counts, "macro")])
    plain = np.array([[len(p & t), len(p), len(t)] for p, t in zip(*sides, strict=True)]).sum(0)
    return [
        compare(name, torch.from_numpy(100 * ours), fixture[f"output/{name}"], fixture.tolerance)
        for name, ours in (("reference_scores", rates), ("plain_micro", averaged(plain[None], "micro")))
    ]


def _data(fixture: Fixture) -> list[Comparison]:
    compared = []
    for number, tags in _sentences(fixture.facts["text"]):
        picture = fixture.facts["images"][number]
        objects = [released_data.Named(thing["name"], Box(*map(float, thing["box"]))) for thing in picture["objects"]]
        [expected] = [post for post in fixture.facts["expected"] if post["image"] == number]
        boxes = [Box(*row) for row in fixture[f"input/boxes_{number}"].tolist()]
        listed = released_data.candidates(boxes, objects if picture["has_xml"] else None)
        spans = released_data.parse(tags)
        names = [" ".join(expected["tokens"][span.start : span.end]) for span in spans]
        entities = [(span, released_data.region_numbers(name, listed)) for span, name in zip(spans, names, strict=True)]
        regions = fixture.count("path_num")
        items = released_data.repeated(released_data.training_items(entities, regions), fixture.count("repeat"))
        judged = released_data.evaluation_items(entities, regions)
        theirs = [(e["start"], e["end_exclusive"], e["type"].replace("MISC", "OTHER")) for e in expected["entities"]]
        said = {
            "entities": ([tuple(span) for span in spans], theirs),
            "candidate_names": ([candidate.name for candidate in listed], expected["candidate_names"]),
            "entity_regions": ([numbers for _, numbers in entities], expected["entity_regions"]),
            "eval_gold": (sorted(_rows(judged)), sorted(expected["eval_gold"])),
        }
        compared += [
            compare(f"candidates_{number}", _boxes(listed), fixture[f"output/candidates_{number}"], EXACT),
            compare(f"train_gold_{number}", torch.tensor(_rows(items)), fixture[f"output/train_gold_{number}"], EXACT),
        ]
        compared += [
            compare(f"{what}_{number}", torch.tensor(int(ours != expected)), torch.tensor(0), EXACT)
            for what, (ours, expected) in said.items()
        ]
    return compared


def _sentences(text: str) -> Iterator[tuple[str, list[str]]]:
    """Picture number and tags of each tweet of a BIO text."""
    for block in text.strip().split("\n\n"):
        header, *rows = block.split("\n")
        yield header.removeprefix("IMGID:"), [row.split("\t")[1] for row in rows]


def _boxes(listed: list[released_data.Named]) -> Float[Tensor, "boxes 4"]:
    return torch.tensor([candidate.box for candidate in listed])


def _rows(items: list[released_data.Item]) -> list[list[int]]:
    return [[item.span.start, item.span.end - 1, 1 + TYPES.index(item.span.type), item.region] for item in items]


def _optim(fixture: Fixture) -> list[Comparison]:
    """Two parameters through both stages of a training, by the loop's own optimisers and rates."""
    config = TrainingConfig(
        epochs=fixture.count("epochs"),
        lr=fixture.number("lr"),
        optimiser="uncorrected",
        weight_decay=fixture.number("weight_decay"),
        warmup=fixture.number("warmup"),
        schedule="delayed",
        first_epochs=fixture.count("split_epoch"),
        first_frozen=("elsewhere",),  # both parameters are trained in both stages
    )
    names = ("decay", "no_decay")
    model = nn.ParameterDict({f"{name}_param": nn.Parameter(fixture[f"input/{name}_param"].clone()) for name in names})
    gradients = {f"{name}_param": fixture[f"input/grads_{name}"] for name in names}
    traces: dict[str, list[Tensor]] = {name: [] for name in gradients}
    factors: list[float] = []
    for stage in config.stages:
        optimiser = new_optimiser(model, config)
        steps = fixture.count("updates_per_epoch") * len(stage)
        schedule = new_schedule(optimiser, steps, config)
        for _ in range(steps):
            for name, parameter in model.items():
                parameter.grad = gradients[name][len(factors)]
            factors.append(float(schedule.get_last_lr()[0]) / config.lr)
            optimiser.step()
            schedule.step()
            for name, parameter in model.items():
                traces[name].append(parameter.detach().clone())
    ours = {"lr_factor": torch.tensor(factors, dtype=torch.float64)}
    ours |= {name: torch.stack(trace) for name, trace in traces.items()}
    return [compare(name, tensor, fixture[f"output/{name}"], fixture.tolerance) for name, tensor in ours.items()]


CHECKS: Final[Mapping[str, Callable[[Fixture], list[Comparison]]]] = {
    "forward": _forward,
    "forward_options": _forward,
    "match_loss": _match_loss,
    "decode": _decode,
    "score": _score,
    "data": _data,
    "optim": _optim,
}
