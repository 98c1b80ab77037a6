"""Closed-form derivatives of a multilayer perceptron, and their exact check."""

from __future__ import annotations

from mathdnn.backprop.activations import ACTIVATIONS, Activation, polynomial
from mathdnn.backprop.exact import check_exact
from mathdnn.backprop.explain import explain
from mathdnn.backprop.flow import Flow, gradient_flow
from mathdnn.backprop.jacobians import Jacobians, OuterProduct, jacobians
from mathdnn.backprop.literal import FORMULAS, Formula
from mathdnn.backprop.mlp import MLP, Trace
from mathdnn.backprop.numeric import check_autograd, check_module
from mathdnn.backprop.picture import flow_picture
from mathdnn.backprop.typed import derivative_name, typed_formula

__all__ = [
    "ACTIVATIONS",
    "FORMULAS",
    "MLP",
    "Activation",
    "Flow",
    "Formula",
    "Jacobians",
    "OuterProduct",
    "Trace",
    "check_autograd",
    "check_exact",
    "check_module",
    "derivative_name",
    "explain",
    "flow_picture",
    "gradient_flow",
    "jacobians",
    "polynomial",
    "typed_formula",
]
