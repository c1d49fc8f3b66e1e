"""The Hessian in the parameters in PyTorch: PyHessian, and curvlinops with SciPy's eigsh, as its documentation does."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import eigsh

from bench.peers import Arm, Eigenvalue, Trace
from bench.peers.torch_network import network
from equivalence.cases import Case

SEED = 0
TOLERANCE = 1e-3  # of an eigenvalue, PyHessian's default too


def by_pyhessian(job: Trace | Eigenvalue, case: Case, device: str) -> Arm:
    """Its constructor takes the gradient that all products share, so it belongs to the job.

    tol: it stops early where estimates agree; never, so that all arms do the same number of products. It draws from the
    global random state, parameter by parameter.
    """
    from pyhessian import hessian

    model, images, labels = network(case, device)
    loss = torch.nn.CrossEntropyLoss()

    torch.manual_seed(SEED)
    start = torch.cat([torch.randn(parameter.shape).flatten() for parameter in model.parameters()])

    def run() -> Any:
        torch.manual_seed(SEED)
        model.zero_grad()
        computer = hessian(model, loss, data=(images, labels), cuda=device == "cuda")
        if isinstance(job, Trace):
            return np.mean(computer.trace(maxIter=job.probes, tol=-math.inf))
        return computer.eigenvalues(maxIter=job.products, tol=-math.inf)[0][0]

    return Arm(run, np.asarray, start.numpy()[None])


def by_curvlinops(job: Trace | Eigenvalue, case: Case, device: str) -> Arm:
    from curvlinops import HessianLinearOperator, hutchinson_trace

    model, images, labels = network(case, device)
    params = [parameter for parameter in model.parameters() if parameter.requires_grad]
    loss = torch.nn.CrossEntropyLoss()
    operator = HessianLinearOperator(model, loss, params, [(images, labels)], check_deterministic=False)
    if isinstance(job, Trace):
        return Arm(lambda: hutchinson_trace(operator, num_matvecs=job.probes).item(), np.asarray)
    matrix = operator.to_scipy()
    options = {"k": 1, "which": "LM", "ncv": job.products, "tol": TOLERANCE, "return_eigenvectors": False}
    return Arm(lambda: eigsh(matrix, **options)[0], np.asarray)


BUILDERS: dict[str, Callable[[Any, Case, str], Arm]] = {"PyHessian": by_pyhessian, "curvlinops": by_curvlinops}
