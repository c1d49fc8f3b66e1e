"""bert4torch: the gradient that a step with its gradient penalty leaves, for the loss w⁴ and ε = 2."""

import importlib.util, sys, types

import torch

own = sys.modules["bert4torch"] = types.ModuleType("bert4torch")
own.__path__ = [importlib.util.find_spec("torch4keras").submodule_search_locations[0] + "/../bert4torch"]
from bert4torch.callbacks import AdversarialTraining

model = torch.nn.ParameterDict({"word_embeddings": torch.nn.Parameter(torch.tensor(1.0))})


def plain_step(x, y):
    (loss := model["word_embeddings"] ** 4).backward(retain_graph=True)
    return None, loss, {}


callback = AdversarialTraining("gradient_penalty", {"epsilon": 2.0})
callback.trainer, callback.model = types.SimpleNamespace(old_train_step=plain_step), model
callback.train_step(None, None)
print(f"gradient {model['word_embeddings'].grad:g}; of w⁴ + (4w³)² at 1 it is 4 + 96 = 100, of 2w⁴ it is 8")
