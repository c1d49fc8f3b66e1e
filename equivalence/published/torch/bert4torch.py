"""bert4torch: callbacks that train on a perturbed embedding, or with a penalty on its gradient."""

from equivalence.published.package import LIMIT, WRONG, Package, only

# Its __init__ imports every model and tokenizer; the callbacks need none of them.
PACKAGE = Package(
    "bert4torch",
    "0.6.2",
    ("bert4torch.callbacks",),
    before=(
        "import importlib.util, sys, types",
        "bert4torch = sys.modules['bert4torch'] = types.ModuleType('bert4torch')",
        "folder = importlib.util.find_spec('torch4keras').submodule_search_locations[0]",
        "bert4torch.__path__ = [folder + '/../bert4torch']",
    ),
)


def embedded(table):
    """A model that has the table as `word_embeddings`, and what it computes no more."""
    import torch

    model = torch.nn.Module()
    model.word_embeddings = torch.nn.Parameter(table.detach().clone())
    return model


@PACKAGE.adapts(
    "FGM",
    "perturb_table",
    LIMIT,
    "ε g/‖g‖₂ of the whole table; squares as they are, so that ‖g‖ below 1e-23 in float32 is 0",
    compared="L2",
    shows=("tiny-gradients",),
    traced=False,
)
def fast_gradient(loss, table, *, radius, norm="l2"):
    import torch
    from bert4torch.callbacks import FGM

    only(norm == "l2", "L2")
    model = embedded(table)
    with torch.enable_grad():
        loss(model.word_embeddings).sum().backward(inputs=[model.word_embeddings])
    model.word_embeddings.grad = model.word_embeddings.grad.to_dense()
    model.word_embeddings.data.zero_()  # what is added is what it leaves
    FGM(model).attack(epsilon=1.0)
    return (radius * model.word_embeddings).detach()


@PACKAGE.adapts(
    "AdversarialTraining('gradient_penalty')",
    "input_gradient_penalty",
    WRONG,
    "squares .grad, which has no graph: the penalty's own gradient is missing, and the loss's counts twice",
    compared="l2_squared",
    witness="bert4torch_penalty",
)
def penalty(loss, x, *, norm="l2_squared", how="double_backward", xi=None, with_loss=False):
    from types import SimpleNamespace

    import torch
    from bert4torch.callbacks import AdversarialTraining

    only(norm == "l2_squared" and how == "double_backward" and not with_loss, "the squared norm")
    penalties = []
    for b in range(len(x)):
        model = embedded(x[b])

        def step(train_x, train_y, b=b, model=model):
            with torch.enable_grad():
                value = loss(torch.cat([x[:b].detach(), model.word_embeddings[None], x[b + 1 :].detach()]))[b]
                value.backward(inputs=[model.word_embeddings], retain_graph=True)
            return None, value, {}

        own = AdversarialTraining("gradient_penalty", {"epsilon": 2.0})
        own.trainer, own.model = SimpleNamespace(old_train_step=step), model
        plain = step(None, None)[1].detach()
        model.word_embeddings.grad = None
        penalties.append(own.train_step(None, None)[1].detach() - plain)
    return torch.stack(penalties)
