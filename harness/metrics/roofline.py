"""The roofline in closed form: ridge, attainable share, and intensities known beforehand."""


def ridge(peak: float, bandwidth: float) -> float:
    """The intensity from which the peak can be reached, op/byte (section 6.2, Figure 3).

    Args:
        peak: Operations a second.
        bandwidth: Bytes a second of the memory level that is meant.
    """
    return peak / bandwidth


def attainable_share(intensity: float, ridge_point: float) -> float:
    """The largest share of the peak that an intensity allows (eq. 14)."""
    return min(1.0, intensity / ridge_point)


def decode_intensity(bytes_per_weight: float) -> float:
    """Operations for each weight byte of decoding at batch size 1: a multiply-add a weight."""
    return 2 / bytes_per_weight


def gemm_intensity(m: int, k: int, n: int, element_bytes: float) -> float:
    """Operations a byte of an (m x k) by (k x n) product, each matrix moved once (eq. 14).

    Args:
        m: Rows of the result.
        k: The inner dimension.
        n: Columns of the result.
        element_bytes: Size of an element.
    """
    return 2 * m * k * n / (element_bytes * (m * k + k * n + m * n))
