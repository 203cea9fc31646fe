package embedded

import (
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"

	"contacts/platform/queue"
)

// deduplication is for how long a deduplication id is remembered, in milliseconds, as in SQS.
const deduplication = int64(5 * time.Minute / time.Millisecond)

// The statements. All but countSQL find their rows through an index, so that they grow no
// slower with the queue's depth. Lists come in as JSON arrays.
const (
	countSQL = `SELECT (SELECT count(*) FROM queue_messages) AS total,
		(SELECT count(*) FROM queue_groups WHERE token IS NOT NULL AND visible_at > ?) AS in_flight`

	oldestSQL = `SELECT sent_at FROM queue_messages ORDER BY sequence LIMIT 1`

	lookSQL = `SELECT EXISTS (SELECT 1 FROM queue_groups WHERE token IS NULL)
		OR EXISTS (SELECT 1 FROM queue_groups WHERE token IS NOT NULL AND visible_at <= ?)`

	sweepSQL = `DELETE FROM queue_deduplications WHERE (group_id, deduplication_id) IN (
		SELECT group_id, deduplication_id FROM queue_deduplications WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`

	rememberSQL = `INSERT INTO queue_deduplications (group_id, deduplication_id, expires_at) VALUES (?, ?, ?)
		ON CONFLICT (group_id, deduplication_id) DO UPDATE SET expires_at = excluded.expires_at
		WHERE queue_deduplications.expires_at <= ?`

	insertSQL = `INSERT INTO queue_messages (group_id, body, sent_at) VALUES (?, ?, ?)`

	// queueUpSQL gives a group its row with its first message, the one just inserted.
	queueUpSQL = `INSERT INTO queue_groups (group_id, head, visible_at) VALUES (?, last_insert_rowid(), ?)
		ON CONFLICT (group_id) DO NOTHING`

	// claimSQL merges the front of the waiting groups with the front of the claims that have
	// run out. After any outcome of its message, a group takes its next turn behind
	// those that waited by then: none can hold up the others.
	claimSQL = `UPDATE queue_groups SET token = @token, visible_at = @until, attempts = attempts + 1
		WHERE group_id IN (
			SELECT group_id FROM (
				SELECT * FROM (SELECT group_id, visible_at, head FROM queue_groups
					WHERE token IS NULL ORDER BY visible_at, head LIMIT @limit)
				UNION ALL
				SELECT * FROM (SELECT group_id, visible_at, head FROM queue_groups
					WHERE token IS NOT NULL AND visible_at <= @now ORDER BY visible_at, head LIMIT @limit)
			) ORDER BY visible_at, head LIMIT @limit)
		RETURNING head`

	fetchSQL = `SELECT m.sequence, m.group_id, m.body, m.sent_at, g.attempts
		FROM json_each(?) AS head
		CROSS JOIN queue_messages AS m ON m.sequence = head.value
		CROSS JOIN queue_groups AS g ON g.group_id = m.group_id
		ORDER BY m.sequence`

	// heldSQL are the groups whose heads a list of receipts holds now.
	heldSQL = ` FROM json_each(@receipts) AS r
		CROSS JOIN queue_messages AS m ON m.sequence = r.value ->> 'sequence'
		CROSS JOIN queue_groups AS g ON g.group_id = m.group_id
		WHERE g.head = m.sequence AND g.token = r.value ->> 'token' AND g.visible_at > @now`

	removeSQL = `DELETE FROM queue_messages WHERE sequence IN (SELECT g.head` + heldSQL + `) RETURNING group_id`

	dropEmptySQL = `DELETE FROM queue_groups WHERE group_id IN (SELECT value FROM json_each(?))
		AND NOT EXISTS (SELECT 1 FROM queue_messages AS m WHERE m.group_id = queue_groups.group_id)`

	advanceSQL = `UPDATE queue_groups SET token = NULL, attempts = 0, visible_at = ?,
		head = (SELECT min(m.sequence) FROM queue_messages AS m WHERE m.group_id = queue_groups.group_id)
		WHERE group_id IN (SELECT value FROM json_each(?))`

	extendSQL = `UPDATE queue_groups SET visible_at = @until WHERE group_id IN (SELECT g.group_id` + heldSQL + `)`

	releaseAllSQL = `UPDATE queue_groups SET visible_at = min(visible_at, @now), token = NULL WHERE token IS NOT NULL OR visible_at > @now`

	// shortenSQL has no deduplication id remembered for longer than from now on.
	shortenSQL = `UPDATE queue_deduplications SET expires_at = @until WHERE expires_at > @until`

	releaseSQL = `UPDATE queue_groups SET visible_at = @now, token = NULL WHERE group_id IN (SELECT g.group_id` + heldSQL + `)`
)

// insert stores a message, unless its deduplication id is known.
func insert(tx *gorm.DB, message queue.Message, now int64) error {
	remembered := tx.Exec(rememberSQL, message.Group, message.DeduplicationID, now+deduplication, now)
	if remembered.Error != nil {
		return fmt.Errorf("remember deduplication id: %w", remembered.Error)
	}
	if remembered.RowsAffected == 0 {
		return nil
	}
	if err := tx.Exec(insertSQL, message.Group, string(message.Body), now).Error; err != nil {
		return fmt.Errorf("insert message: %w", err)
	}
	if err := tx.Exec(queueUpSQL, message.Group, now).Error; err != nil {
		return fmt.Errorf("insert group: %w", err)
	}
	return nil
}

// claim hides up to limit messages, each of another group, under token until the given time.
func claim(tx *gorm.DB, limit int, token string, now, until int64) ([]queue.Delivery, error) {
	var heads []int64
	err := tx.Raw(claimSQL, map[string]any{"token": token, "until": until, "now": now, "limit": limit}).Scan(&heads).Error
	if err != nil {
		return nil, fmt.Errorf("claim groups: %w", err)
	}
	list, err := json.Marshal(heads)
	if err != nil {
		return nil, fmt.Errorf("list claimed messages: %w", err)
	}
	var rows []struct {
		Sequence int64
		GroupID  string
		Body     []byte
		SentAt   int64
		Attempts int
	}
	if err := tx.Raw(fetchSQL, string(list)).Scan(&rows).Error; err != nil {
		return nil, fmt.Errorf("fetch claimed messages: %w", err)
	}
	deliveries := make([]queue.Delivery, len(rows))
	for i, row := range rows {
		deliveries[i] = queue.Delivery{
			Receipt: receipt{Token: token, Sequence: row.Sequence}.String(),
			Group:   row.GroupID,
			Body:    row.Body,
			Attempt: row.Attempts,
			SentAt:  time.UnixMilli(row.SentAt),
		}
	}
	return deliveries, nil
}

// remove deletes the messages that receipts hold and lets their groups' next ones through. It
// returns their number.
func remove(tx *gorm.DB, receipts []receipt, now int64) (int, error) {
	held, err := heldArguments(receipts, now)
	if err != nil {
		return 0, err
	}
	var groups []string
	if err := tx.Raw(removeSQL, held).Scan(&groups).Error; err != nil {
		return 0, fmt.Errorf("delete messages: %w", err)
	}
	list, err := json.Marshal(groups)
	if err != nil {
		return 0, fmt.Errorf("list groups: %w", err)
	}
	if err := tx.Exec(dropEmptySQL, string(list)).Error; err != nil {
		return 0, fmt.Errorf("delete empty groups: %w", err)
	}
	if err := tx.Exec(advanceSQL, now, string(list)).Error; err != nil {
		return 0, fmt.Errorf("advance groups: %w", err)
	}
	return len(groups), nil
}

// extend hides the messages that receipts hold until the given time. It returns their number.
func extend(tx *gorm.DB, receipts []receipt, now, until int64) (int, error) {
	held, err := heldArguments(receipts, now)
	if err != nil {
		return 0, err
	}
	held["until"] = until
	extended := tx.Exec(extendSQL, held)
	if extended.Error != nil {
		return 0, fmt.Errorf("extend claims: %w", extended.Error)
	}
	return int(extended.RowsAffected), nil
}

// release hands back the messages that receipts hold. It returns their number.
func release(tx *gorm.DB, receipts []receipt, now int64) (int, error) {
	held, err := heldArguments(receipts, now)
	if err != nil {
		return 0, err
	}
	released := tx.Exec(releaseSQL, held)
	if released.Error != nil {
		return 0, fmt.Errorf("release claims: %w", released.Error)
	}
	return int(released.RowsAffected), nil
}

// heldArguments are the arguments of heldSQL.
func heldArguments(receipts []receipt, now int64) (map[string]any, error) {
	list, err := json.Marshal(receipts)
	if err != nil {
		return nil, fmt.Errorf("list receipts: %w", err)
	}
	return map[string]any{"receipts": string(list), "now": now}, nil
}
