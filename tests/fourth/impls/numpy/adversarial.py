from impls.numpy import gradient
from impls.numpy.norms import steepest

from impls.checks import checked


@checked
def fgm(loss, x, *, radius, norm="l2", scope="sample"):
    return radius * steepest(gradient(loss, x), norm=norm, scope=scope)
