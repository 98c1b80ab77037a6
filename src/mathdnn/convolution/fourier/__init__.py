"""What an operation computes through Fourier transforms, in real operations: circular convolutions.

Complex numbers of a graph become the Fourier coefficients of real signals (`spectrum`), from the transform that makes
them to the one that turns them back (`transforms`, `sums`); a kernel is read from the transform that the operation
itself makes of it. Floats round there as a transform does, which is counted where numbers leave it (a node `fourier`,
see `rounding`).
"""

from mathdnn.convolution.fourier.reader import Fourier, is_complex
from mathdnn.convolution.fourier.spectrum import NotSpectral

__all__ = ["Fourier", "NotSpectral", "is_complex"]
