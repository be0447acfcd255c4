"""Array in, array out: HU windows, the patient's outline, crops, grids and augmentation."""
