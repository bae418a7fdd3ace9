"""The mark of a planted fault."""


def collector(faults):
    """sealed: "all" sizes and hashes are made true again, "file" all but those of the shard's tables, "json" the document's own hash alone,
    "unhashed" store.json is written with the hash it had, "nothing" the fault writes by itself."""

    def fault(finding, training, sealed="all"):
        def mark(function):
            function.finding, function.training, function.sealed = finding, training, sealed
            faults.append(function)
            return function
        return mark

    return fault


def on_bytes(fault):
    """For functions that take the shard's bytes instead of the store."""

    def edit(finding, training):
        def mark(function):
            def planted(store):
                with store.edit() as shard:
                    function(shard)
            planted.__name__ = function.__name__
            return fault(finding, training)(planted)
        return mark

    return edit
