"""The coded concepts of the structured reports (design, section 10; PS3.16)."""

from highdicom.sr import CodedConcept

from lnmdetect.core.records import BENIGN, METASTATIC

LYMPH_NODE = CodedConcept("59441001", "SCT", "Lymph node")
CERVICAL_LYMPH_NODE = CodedConcept("81105003", "SCT", "Cervical lymph node")
LATERALITY = {  # CID 245
    "right": CodedConcept("24028007", "SCT", "Right"),
    "left": CodedConcept("7771000", "SCT", "Left"),
    "midline": CodedConcept("130290", "DCM", "Median"),
}
BOUNDED_BY = CodedConcept("75958009", "SCT", "Bounded by")  # CID 219
PROCEDURE = CodedConcept("169068008", "SCT", "Computed tomography of neck")
"""Narrower than CID 100 has it, which may be extended (baseline)."""

SHORT_AXIS = CodedConcept("103340004", "SCT", "Short Axis")  # CID 7470
LONG_AXIS = CodedConcept("103339001", "SCT", "Long Axis")
VOLUME = CodedConcept("118565006", "SCT", "Volume")
ATTENUATION = CodedConcept("112031", "DCM", "Attenuation Coefficient")  # CID 7469
MEAN = CodedConcept("373098007", "SCT", "Mean")  # CID 7464
MAXIMUM = CodedConcept("56851009", "SCT", "Maximum")
CERTAINTY = CodedConcept("111012", "DCM", "Certainty of Finding")  # CID 6048
P_CANCER = CodedConcept("111047", "DCM", "Probability of cancer")
NUMBER_OF_LESIONS = CodedConcept("246206008", "SCT", "Number of lesions")

MILLIMETRE = CodedConcept("mm", "UCUM", "mm")
CUBIC_MILLIMETRE = CodedConcept("mm3", "UCUM", "mm3")
HOUNSFIELD = CodedConcept("[hnsf'U]", "UCUM", "Hounsfield unit")
PERCENT = CodedConcept("%", "UCUM", "Percent")
NO_UNITS = CodedConcept("1", "UCUM", "no units")

MALIGNANCY = CodedConcept("RID36042", "RADLEX", "Malignancy")
CALLED = {
    BENIGN: CodedConcept("30807003", "SCT", "Benign"),
    METASTATIC: CodedConcept("21594007", "SCT", "Malignant"),
}
