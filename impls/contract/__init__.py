"""The contract: what every framework's implementation must provide, file by file.

Each module here has the name of a module in `impls/torch`, `impls/jax`, `impls/tensorflow`; each function here has a
counterpart there with the same name, parameters and defaults. The stubs carry the only full docstrings; the
`checked` decorator copies them to the implementations and checks arguments against them.

Conventions, everywhere
-----------------------
- `x` is a batch: (B, *S) floating point. Whatever is perturbed is simply the argument: inputs, a hidden activation, an
  embedding's output, weights.
- `loss(x) -> (B,)` and `f(x) -> (B, C)` are closures: labels and parameters are closed over. Sample b of the result
  depends on sample b of `x` alone. Methods return one number a sample; the caller reduces, never the method.
- A closure may run a module as it is, in train mode too. Each call of it is a pass: dropout draws anew and running
  statistics move in every one, as when the module is called by hand. (`training` takes care of both.) Batch statistics
  make samples depend on one another: ∇ₓℓ is then the gradient of the batch's total loss.
- Randomness is an argument (`noise`, `probes`, `start`); only `sampling` draws.
- Perturbations come back held fixed: no gradient flows through them.
- What is not a batch says so: an embedding's table is (V, D), a network's parameters are {name: array}.
- A zero gradient gives a zero perturbation and a finite penalty with a zero gradient (0/0 is read as 0).
- Perturbations, directions and norms have the dtype of `x`. Arithmetic is done in that dtype, but in float32 where it
  is half precision (bfloat16, float16): there losses, divergences and penalties, numbers a sample, are float32, too, as
  under autocast and mixed policies. Models are called with the dtype of `x`, and may return another one.
- x + r is rounded to the dtype of x. A component moves where |rᵢ| ≥ u|xᵢ|, u = 2⁻²⁴ in float32, 2⁻¹¹ in float16, 2⁻⁸ in
  bfloat16, and does not where |rᵢ| < ½u|xᵢ|: in bfloat16 an FGSM radius of 0.001 is lost on pixels above ½.

Costs are in forward passes of the whole batch: a forward pass is 1, the gradient with respect to the inputs alone 1,
the full backward pass (inputs and parameters) 2; a plain training step is therefore 3.
"""

MODULES = (
    "losses",
    "sampling",
    "norms",
    "noise",
    "adversarial",
    "penalty",
    "curvature",
    "virtual_adversarial",
    "embedding",
    "lipschitz",
    "parameter",
)
