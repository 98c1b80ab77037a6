"""Is an operation on images a convolution, and which? Proofs in exact arithmetic, or the image that shows otherwise."""

from __future__ import annotations

from mathdnn.convolution import catalogue
from mathdnn.convolution.certificate import ConvCertificate, form_of
from mathdnn.convolution.compose import added, after, padded, scaled
from mathdnn.convolution.equal import equal_maps
from mathdnn.convolution.form import ConvForm
from mathdnn.convolution.grade import grade
from mathdnn.convolution.prove import as_conv2d
from mathdnn.convolution.witness import reproduces

__all__ = [
    "ConvCertificate",
    "ConvForm",
    "added",
    "after",
    "as_conv2d",
    "catalogue",
    "equal_maps",
    "form_of",
    "grade",
    "padded",
    "reproduces",
    "scaled",
]
