from dataclasses import replace

from lnmdetect.core.column_pool import pooled
from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.io.coco_columns import columns_of

BOX = (1.0, 2.0, 9.0, 12.0)


def dataset(series: str, slices: int, **extra: object) -> CocoDataset:
    images = tuple(
        ImageRecord(
            k, f"{series}.{k}.dcm", 64, 64, "p", series, f"{series}.{k}", k, float(k), (1, 1)
        )
        for k in range(1, slices + 1)
    )
    nodes = (NodeAnnotation(1, slices, 1, BOX, level="II", extra=extra),)
    return CocoDataset({"series": series}, images, nodes)


def test_records_keep_their_slices_and_are_numbered_anew() -> None:
    both = pooled([columns_of(dataset("a", 2)), columns_of(dataset("b", 3))])
    assert both.images.join_keys == ["a.1", "a.2", "b.1", "b.2", "b.3"]
    assert both.nodes.image.tolist() == [1, 4]
    assert both.images.ids.tolist() == [1, 2, 3, 4, 5]
    assert both.nodes.ids.tolist() == [1, 2]
    assert both.nodes.boxes_xyxy.tolist() == [list(BOX), list(BOX)]
    assert both.info == {"series": "a"}


def test_a_column_that_one_file_lacks_is_empty_there() -> None:
    both = pooled([columns_of(dataset("a", 1, side="left")), columns_of(dataset("b", 1))])
    assert list(both.node_column("side") or ()) == ["left", None]
    assert list(both.node_column("level") or ()) == ["II", "II"]
    assert both.node_column("nothing") is None


def test_the_warning_of_any_file_s_fold_stays() -> None:
    parts = [dataset("a", 1), dataset("b", 1), dataset("c", 1)]
    folds = [{"fold": "1", "warning": None}, {"fold": "2", "warning": "optimistic"}, None]
    infos = [{**part.info, "split": fold} for part, fold in zip(parts, folds, strict=True)]
    files = [columns_of(replace(part, info=info)) for part, info in zip(parts, infos, strict=True)]
    assert pooled(files).info == {"series": "a", "split": folds[1]}
    assert pooled([files[0], files[2]]).info == infos[0]


def test_one_file_is_itself() -> None:
    alone = columns_of(dataset("a", 1))
    assert pooled([alone]) is alone
