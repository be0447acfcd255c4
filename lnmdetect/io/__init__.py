"""The only code that opens files: scans, COCO files, bundles, recipes, pictures."""
