#!/usr/bin/python3
"""Makes the disk forget: puts back what was not flushed, by the undo log of powercut.so.

usage: powercut_apply.py LOG FOLDER [--mode all|sectors|pages] [--seed N]

all      every change that was not flushed is undone.
sectors  each 512-byte sector of each such change is kept or lost by chance: writes are torn.
pages    the same by pages of 4096 bytes.
Names: with `all` every name that was not flushed is undone; else a run of the newest, by chance.
"""
import argparse
import os
import random
import shutil
import struct
import sys

HEADER = struct.Struct("=II QQQ QQQ IIII")
MAGIC = 0x50435554
CHANGED, FLUSHED, MADE, RENAMED, REMOVED, FOLDER_MADE, LOST = range(1, 8)


class Record:
    def __init__(self, data, at):
        (self.magic, self.kind, self.number, self.inode, self.upto, self.at, self.size_before, self.size_after,
         first, second, self.spare, old) = HEADER.unpack_from(data, at)
        at += HEADER.size
        self.end = at + first + second + old
        if self.magic != MAGIC or self.end > len(data):
            raise ValueError("torn")
        self.first = os.fsdecode(data[at:at + first])
        self.second = os.fsdecode(data[at + first:at + first + second])
        self.old = data[at + first + second:self.end]


def read_log(path):
    """All records.  A torn last one belongs to a change that was not made."""
    with open(path, "rb") as f:
        data = f.read()
    records, at = [], 0
    while at + HEADER.size <= len(data):
        try:
            record = Record(data, at)
        except ValueError:
            break
        records.append(record)
        at = record.end
    return records


def not_flushed(records):
    """Those that no flush has forgiven; what a failed flush has lost no later one forgives."""
    waiting, lost = {}, []
    for r in records:
        mine = waiting.setdefault(r.inode, [])
        if r.kind in (FLUSHED, LOST):
            waiting[r.inode] = [w for w in mine if w.number > r.upto]
            if r.kind == LOST:
                lost += [w for w in mine if w.number <= r.upto]
        else:
            mine.append(r)
    left = lost + [w for mine in waiting.values() for w in mine]
    return sorted(left, key=lambda r: r.number)


def without(start, end, covered):
    """The parts of start..end that none of the COVERED ranges has."""
    parts = [(start, end)]
    for low, high in covered:
        parts = [piece for a, b in parts for piece in ((a, min(b, low)), (max(a, high), b)) if piece[0] < piece[1]]
    return parts


def files_by_inode(*folders):
    found = {}
    for folder in folders:
        for where, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(where, name)
                found[os.lstat(path).st_ino] = path
    return found


def put_back(f, record, start, end):
    old = record.old[start - record.at:end - record.at]
    f.seek(start)
    f.write(old + b"\0" * (end - start - len(old)))


def undo_changes(records, left, files, unit, chance):
    """Backwards, so that the oldest bytes win.  What was overwritten and flushed since stays.
    Returns how many pieces were put back."""
    count, sizes, covered = 0, {}, {}
    undone = {r.number for r in left}
    inodes = {r.inode for r in left if r.kind == CHANGED}
    for r in reversed(records):
        if r.kind != CHANGED or r.inode not in files or r.inode not in inodes:
            continue
        if r.number not in undone:
            covered.setdefault(r.inode, []).append((r.at, r.at + r.upto))
            continue
        if r.inode not in covered:
            sizes[r.inode] = r.size_before  # in the end that of the first change since the flush
        with open(files[r.inode], "r+b") as f:
            at = r.at
            while at < r.at + r.upto:
                stop = r.at + r.upto if unit is None else min(r.at + r.upto, (at // unit + 1) * unit)
                if chance():
                    for piece in without(at, stop, covered.get(r.inode, ())):
                        put_back(f, r, *piece)
                        count += 1
                at = stop
    for inode, size in sizes.items():
        if os.path.getsize(files[inode]) != size and chance():
            os.truncate(files[inode], size)
            count += 1
    return count


def undo_names(records, spare, everything, dice):
    """The newest first; by chance not all, but never an older one without the newer ones."""
    names = [r for r in records if r.kind in (MADE, RENAMED, REMOVED, FOLDER_MADE)]
    keep = 0 if everything else dice.randint(0, len(names))
    for r in reversed(names[keep:]):
        kept = os.path.join(spare, str(r.spare)) if r.spare else None
        if r.kind == MADE and os.path.lexists(r.first):
            os.remove(r.first)
        elif r.kind == FOLDER_MADE:
            shutil.rmtree(r.first, ignore_errors=True)
        elif r.kind == RENAMED and os.path.lexists(r.second):
            os.rename(r.second, r.first)
            if kept:
                os.link(kept, r.second)
        elif r.kind == REMOVED and kept and not os.path.lexists(r.first):
            os.link(kept, r.first)
    return len(names) - keep


def apply(log, folder, mode="all", seed=0):
    """Returns (changes undone, names undone)."""
    if not os.path.exists(log):
        return 0, 0
    dice = random.Random(seed)
    spare = log + ".spare"
    records = read_log(log)
    left = not_flushed(records)
    everything = mode == "all"
    unit = {"all": None, "sectors": 512, "pages": 4096}[mode]
    # Content before names: a file that is about to lose its name may come back by a link.
    changes = undo_changes(records, left, files_by_inode(spare, folder), unit,
                           (lambda: True) if everything else (lambda: dice.random() < 0.5))
    names = undo_names(left, spare, everything, dice)
    os.remove(log)
    shutil.rmtree(spare, ignore_errors=True)
    return changes, names


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log")
    parser.add_argument("folder")
    parser.add_argument("--mode", choices=["all", "sectors", "pages"], default="all")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    changes, names = apply(args.log, args.folder, args.mode, args.seed)
    print(f"undone: {changes} pieces of content, {names} names")
    return 0


if __name__ == "__main__":
    sys.exit(main())
