-- Return the position of a waiting task, from 1; nil if it waits for no turn.
-- args  id
local before = tasks_before(task_of(args.id))
return before and before + 1
