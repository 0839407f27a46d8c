-- Accounts that the operator has closed to their own devices.

ALTER TABLE account DROP CONSTRAINT account_status_check;
ALTER TABLE account ADD CONSTRAINT account_status_check CHECK (status IN ('connected', 'pending', 'blocked'));
