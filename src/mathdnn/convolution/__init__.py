"""Is an operation on images a convolution, and which? Proofs in exact arithmetic, or the image that shows otherwise."""

from __future__ import annotations

from mathdnn.convolution.certificate import ConvCertificate, form_of
from mathdnn.convolution.equal import equal_maps
from mathdnn.convolution.form import ConvForm
from mathdnn.convolution.prove import as_conv2d

__all__ = ["ConvCertificate", "ConvForm", "as_conv2d", "equal_maps", "form_of"]
