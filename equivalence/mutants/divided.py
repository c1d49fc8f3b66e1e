"""Data parallelism and accumulation: what is one part's own and should be the batch's, or the other way about."""

from equivalence.mutant import Mutant, collect
from equivalence.parts.divided import FGM, FREELB, PENALTY, VAT, mean, plain

MUTANTS: list[Mutant] = []
mistake = collect(MUTANTS, "divided")


def planting(kind, claim, meant):
    """A decorator `(name, copies, method)` for what stands in the place of a method on batches that are meant."""

    def on(name, copies, method):
        def add(wrong):
            def replace(m, bridge):
                right = getattr(m, method)
                return {method: lambda batch, **options: (wrong(m) if meant(batch) else right)(batch, **options)}

            mistake(f"{kind}: {name}", copies, claims=(claim,), alone=True)(replace)
            return wrong

        return add

    return on


on_replicas = planting("replicas", "H1", lambda batch: batch.together)
on_micro_batches = planting("accumulation", "H2", lambda batch: len(batch.parts) > 1 and not batch.together)


@on_replicas("one norm is each replica's own", "FGM's usual snippet under DistributedDataParallel", FGM)
def own_norm(m):
    return lambda batch, **options: m.adversarial_training(batch, replicas="local", **options)


@on_replicas("all draw the same random start", "one seed for every process, and each draws its own rows", FGM)
def same_start(m):
    def step(batch, *, start="zero", **options):
        if start == "zero":
            return m.adversarial_training(batch, **options)
        return mean(m.adversarial_training, batch, start=start, **options)

    return step


@on_replicas("each draws a table's start for itself", "torch.manual_seed(rank)", FREELB)
def own_table_start(m):
    def step(batch, **options):
        found = [m.freelb_training(part, seed=rank, **options) for rank, part in enumerate(batch.apart())]
        return sum(found) / len(found)

    return step


@on_replicas("the clean half is dropped", "fully_shard reduces the last backward pass alone", FGM)
def without_clean(m):
    return lambda batch, clean_weight=0.0, **options: m.adversarial_training(batch, **options)


@on_replicas("the clean half is not averaged", "a backward pass within no_sync: replicas drift apart", FGM)
def own_clean(m):
    def step(batch, clean_weight=0.0, **options):
        perturbed = (1 - clean_weight) * m.adversarial_training(batch, **options)
        return perturbed + clean_weight * plain(m, batch.apart()[0], **options)

    return step


@on_replicas("a table's penalty is multiplied by n²", "jax.shard_map sums the gradient in what is replicated", PENALTY)
def squared_count(m):
    return lambda batch, *, weight, **options: m.gradient_penalty_training(
        batch, weight=weight * len(batch.parts) ** 2, **options
    )


@on_replicas("the norm of each replica's own gradient", "a penalty within DistributedDataParallel's forward", PENALTY)
def own_penalty(m):
    return lambda batch, **options: mean(m.gradient_penalty_training, batch, **options)


@on_replicas("the divergence is not averaged", "VAT's batch goes through model.module", VAT)
def own_divergence(m):
    def step(batch, **options):
        first = batch.apart()[0]
        added = m.virtual_adversarial_training(first, **options) - plain(m, first, **options)
        return plain(m, batch, **options) + added

    return step


@on_replicas("the raw gradient is of the mean over all", "Keras divides a replica's loss by their number", FGM)
def smaller_raw(m):
    def step(batch, *, radius, norm="l2", **options):
        radius = radius / len(batch.parts) if norm == "raw" else radius
        return m.adversarial_training(batch, radius=radius, norm=norm, **options)

    return step


@on_micro_batches("the attack's gradient stays in .grad", "loss.backward() twice, and zero_grad once a step", FGM)
def accumulated_attack(m):
    def step(batch, **options):
        found = m.adversarial_training(batch, **options)
        found[:, 1:] += plain(m, batch, **options)[:, 1:]
        return found

    return step


@on_micro_batches("the last one alone counts", "zero_grad in each call of a one-line step", FGM)
def last_alone(m):
    def step(batch, **options):
        found = m.adversarial_training(batch, **options)
        last = batch.parts[-1]
        found[:, 1:] = batch.share(last) * m.adversarial_training(batch.apart()[-1], **options)[:, 1:]
        return found

    return step


@on_micro_batches("the raw gradient is of the mean over a micro-batch", "ε·∇ of CrossEntropyLoss()", FGM)
def raw_of_mean(m):
    def step(batch, *, radius, norm="l2", **options):
        if norm != "raw":
            return m.adversarial_training(batch, radius=radius, norm=norm, **options)
        shares = [(batch.share(part), part.stop - part.start) for part in batch.parts]
        each = zip(shares, batch.apart(), strict=True)
        return sum(
            share * m.adversarial_training(part, radius=radius / size, norm=norm, **options)
            for (share, size), part in each
        )

    return step


@on_micro_batches("an ascent goes on where the last micro-batch ended", "r is kept between calls", FREELB)
def carried_start(m):
    return lambda batch, *, steps, **options: m.freelb_training(batch, steps=steps + 1, **options)


@on_micro_batches(
    "the penalty is left out of all but the last", "if (i + 1) % accumulate == 0: loss += penalty", PENALTY
)
def last_penalised(m):
    def step(batch, *, weight, **options):
        *others, last = zip(batch.parts, batch.apart(), strict=True)
        found = [batch.share(part) * plain(m, alone, **options) for part, alone in others]
        part, alone = last
        return sum(found) + batch.share(part) * m.gradient_penalty_training(alone, weight=weight, **options)

    return step
