"""Which classes of objects, and which ways to write them, we take from a DICOM node."""

from typing import TYPE_CHECKING

from pydicom import uid

if TYPE_CHECKING:
    from pynetdicom.presentation import PresentationContext

VERIFICATION = "1.2.840.10008.1.1"
"""PS3.4 A.4, the class of a C-ECHO."""
PLAIN = (uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian)
COMPRESSED = (
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.RLELossless,
    uid.JPEGExtended12Bit,
    uid.JPEGLSNearLossless,
    uid.JPEG2000,
)
CT_CLASSES = (
    uid.CTImageStorage,
    uid.EnhancedCTImageStorage,
    uid.LegacyConvertedEnhancedCTImageStorage,
)
OTHER_CLASSES = (
    uid.ComputedRadiographyImageStorage,
    uid.MRImageStorage,
    uid.EnhancedMRImageStorage,
    uid.PositronEmissionTomographyImageStorage,
    uid.UltrasoundImageStorage,
    uid.UltrasoundMultiFrameImageStorage,
    uid.SecondaryCaptureImageStorage,
    uid.MultiFrameTrueColorSecondaryCaptureImageStorage,
    uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    uid.BasicTextSRStorage,
    uid.EnhancedSRStorage,
    uid.ComprehensiveSRStorage,
    uid.Comprehensive3DSRStorage,
    uid.XRayRadiationDoseSRStorage,
    uid.KeyObjectSelectionDocumentStorage,
    uid.GrayscaleSoftcopyPresentationStateStorage,
    uid.SegmentationStorage,
    uid.RTStructureSetStorage,
    uid.EncapsulatedPDFStorage,
)


def get_contexts() -> "list[PresentationContext]":
    """Return what is proposed to a node that sends within our association (C-GET).

    Of each context a node accepts one way to write; so every compressed one has its own.
    """
    from pynetdicom.presentation import build_context

    contexts = [build_context(name, list(PLAIN)) for name in (*CT_CLASSES, *OTHER_CLASSES)]
    return contexts + [build_context(name, syn) for name in CT_CLASSES for syn in COMPRESSED]


def accepted_contexts(*, only_ct: bool) -> "list[PresentationContext]":
    """Return what is accepted from a node that opens an association to us."""
    from pynetdicom.presentation import build_context

    names = CT_CLASSES if only_ct else (*CT_CLASSES, *OTHER_CLASSES)
    every: list[str | uid.UID] = [*PLAIN, *COMPRESSED]
    return [build_context(VERIFICATION), *(build_context(name, every) for name in names)]
