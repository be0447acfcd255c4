"""Copies of DICOM files in another transfer syntax, as archives keep them."""

from collections.abc import Sequence
from pathlib import Path

from pydicom import dcmread
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGLosslessSV1

from lnmdetect.core.errors import InputError, MissingExtraError
from lnmdetect.core.extras import require_package
from lnmdetect.io.quiet import quiet_dicom


def write_compressed(files: Sequence[Path], folder: Path, syntax: UID) -> None:
    """Write each file into `folder` under its name, in a lossless transfer syntax.

    Args:
        files: uncompressed, one frame each.
        folder: made if absent.
        syntax: explicit little endian, or one that an installed package encodes.

    Raises:
        MissingExtraError: none does.
        InputError: the pixels cannot be encoded.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        if syntax == JPEGLosslessSV1:
            _encode_by_gdcm(file, folder / file.name)
        else:
            _encode_by_pydicom(file, folder / file.name, syntax)


def _encode_by_pydicom(file: Path, output: Path, syntax: UID) -> None:
    dataset = dcmread(file)
    if syntax != ExplicitVRLittleEndian:
        _require_encoder(syntax)
        with quiet_dicom():
            dataset.compress(syntax, generate_instance_uid=False)
    dataset.save_as(output, enforce_file_format=True)


def _require_encoder(syntax: UID) -> None:
    """Do nothing where pydicom can encode in a transfer syntax.

    Raises:
        MissingExtraError: it cannot.
    """
    try:
        available = get_encoder(syntax).is_available
    except NotImplementedError:
        available = False
    if not available:
        raise MissingExtraError(
            syntax.name,
            expected="a package that encodes it",
            got="none installed",
            remedy="Install the codecs with: pip install 'lnmdetect[codecs]'.",
        )


def _encode_by_gdcm(file: Path, output: Path) -> None:
    """Encode as JPEG lossless, which of the packages here only gdcm writes.

    Raises:
        MissingExtraError: gdcm is not installed.
        InputError: it does not encode the pixels.
    """
    package = "python-gdcm, which writes JPEG lossless"
    require_package("gdcm", where="JPEG lossless", package=package, extra="codecs")
    import gdcm

    reader, change, writer = (
        gdcm.ImageReader(),
        gdcm.ImageChangeTransferSyntax(),
        gdcm.ImageWriter(),
    )
    reader.SetFileName(str(file))
    done = reader.Read()
    if done:
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        change.SetInput(reader.GetImage())
        done = change.Change()
    if done:
        writer.SetFileName(str(output))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        done = writer.Write()
    if not done:
        raise InputError(
            file.name,
            expected="pixels that gdcm encodes as JPEG lossless",
            got="others",
            remedy="Give uncompressed CT slices.",
        )
