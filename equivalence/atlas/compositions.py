"""Orders in which reverse and forward mode are nested, outermost first: R is reverse, F is forward.

A word is a chain of directional derivatives: FR is the derivative in forward mode of the gradient in reverse mode, a
Hessian-vector product. Of the third order the outermost is the gradient of a parameter, which training takes.
"""

PENALTY = "penalty"
VALUE = "value"
# A penalty weighs squared slopes by numbers evenly apart between these, as if a layer that scales its inputs came
# before: some operations have slopes along which what is missing of their second derivative does not show.
METRIC = (0.5, 1.5)
COMPOSITIONS = {
    VALUE: "the value itself, against the operation by hand",
    "R": "gradient",
    "F": "directional derivative",
    "RR": "Hessian-vector product, reverse over reverse",
    "FR": "Hessian-vector product, forward over reverse",
    "RF": "Hessian-vector product, reverse over forward",
    "FF": "Laplacian in forward mode, forward over forward",
    PENALTY: "parameter gradient of the gradient penalty by double backward",
    "RRR": "parameter gradient of the Laplacian, and of anything by a Hessian-vector product",
    "RFR": "parameter gradient of the penalty by forward over reverse",
    "RRF": "parameter gradient of a product by reverse over forward",
    "RFF": "parameter gradient of the Laplacian in forward mode",
}


def order(composition: str) -> int:
    """How many derivatives are taken; a penalty's parameter gradient is one of second derivatives."""
    return {VALUE: 0, PENALTY: 2}.get(composition, len(composition))
